package stackproof;

import java.io.IOException;
import java.io.Reader;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.errors.SaslAuthenticationException;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerExtensionsValidatorCallback;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/**
 * The broker's side of Amazon MSK's IAM authentication over OAUTHBEARER.
 *
 * <p>A token is a URL, presigned with SigV4 for the action kafka-cluster:Connect, in base64. Its signature is computed again
 * with the secret that belongs to its access key, as the service does it. Policies are not checked. The secrets are in the
 * file that the option "keys" of the JAAS entry names, one access key=secret a line.
 */
public final class IamValidator implements AuthenticateCallbackHandler {
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'");
    private static final String SERVICE = "kafka-cluster";

    private final Properties secrets = new Properties();

    @Override
    public void configure(Map<String, ?> settings, String mechanism, List<AppConfigurationEntry> entries) {
        Object file = entries.get(0).getOptions().get("keys");
        try (Reader reader = Files.newBufferedReader(Path.of(String.valueOf(file)))) {
            secrets.load(reader);
        } catch (IOException error) {
            throw new IllegalArgumentException("the file of the keys cannot be read: " + file, error);
        }
    }

    @Override
    public void handle(Callback[] callbacks) throws UnsupportedCallbackException {
        for (Callback callback : callbacks) {
            if (callback instanceof OAuthBearerValidatorCallback validation) {
                validate(validation);
            } else if (callback instanceof OAuthBearerExtensionsValidatorCallback extensions) {
                extensions.inputExtensions().map().keySet().forEach(extensions::valid);
            } else {
                throw new UnsupportedCallbackException(callback);
            }
        }
    }

    @Override
    public void close() {}

    private void validate(OAuthBearerValidatorCallback validation) {
        try {
            validation.token(accepted(validation.tokenValue()));
        } catch (SaslAuthenticationException refused) {
            System.err.println("IAM token refused: " + refused.getMessage());
            validation.error("invalid_token", null, null);
        } catch (GeneralSecurityException | RuntimeException malformed) {
            System.err.println("IAM token of another form: " + malformed.getClass().getSimpleName());
            validation.error("invalid_token", null, null);
        }
    }

    private OAuthBearerToken accepted(String token) throws GeneralSecurityException {
        URI url = URI.create(new String(Base64.getUrlDecoder().decode(token), StandardCharsets.UTF_8));
        SortedMap<String, String> query = new TreeMap<>();
        for (String pair : url.getRawQuery().split("&")) {
            String[] halves = pair.split("=", 2);
            query.put(halves[0], halves[1]);
        }
        String signature = query.remove("X-Amz-Signature");
        query.remove("User-Agent"); // added after signing
        require("kafka-cluster:Connect".equals(decoded(query.get("Action"))), "another action");

        // access key, date, region, service, "aws4_request"
        String[] scope = decoded(query.get("X-Amz-Credential")).split("/");
        require(scope.length == 5 && SERVICE.equals(scope[3]), "another service");
        String secret = secrets.getProperty(scope[0]);
        require(secret != null, "an unknown access key");
        String expected = signature(url.getHost(), query, scope, secret);
        require(MessageDigest.isEqual(bytes(expected), bytes(signature)), "a wrong signature");

        Instant begin = LocalDateTime.parse(query.get("X-Amz-Date"), TIME).toInstant(ZoneOffset.UTC);
        Instant end = begin.plusSeconds(Long.parseLong(query.get("X-Amz-Expires")));
        require(Instant.now().isBefore(end), "an expired token");
        return new Accepted(token, scope[0], begin.toEpochMilli(), end.toEpochMilli());
    }

    private static String signature(String host, SortedMap<String, String> query, String[] scope, String secret)
            throws GeneralSecurityException {
        String parameters =
                query.entrySet().stream().map(e -> e.getKey() + "=" + e.getValue()).collect(Collectors.joining("&"));
        String request = String.join("\n", "GET", "/", parameters, "host:" + host, "", "host", hash(""));
        String where = String.join("/", scope[1], scope[2], scope[3], scope[4]);
        String toSign = String.join("\n", "AWS4-HMAC-SHA256", query.get("X-Amz-Date"), where, hash(request));
        byte[] key = bytes("AWS4" + secret);
        for (int part = 1; part < scope.length; part++) {
            key = mac(key, scope[part]);
        }
        return HexFormat.of().formatHex(mac(key, toSign));
    }

    private static byte[] mac(byte[] key, String text) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(bytes(text));
    }

    private static String hash(String text) throws GeneralSecurityException {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes(text)));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String decoded(String text) {
        return URLDecoder.decode(text, StandardCharsets.UTF_8);
    }

    private static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new SaslAuthenticationException(otherwise);
        }
    }

    private record Accepted(String value, String principalName, Long startTimeMs, long lifetimeMs)
            implements OAuthBearerToken {
        @Override
        public Set<String> scope() {
            return Set.of();
        }
    }
}
