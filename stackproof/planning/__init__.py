"""From measurements to a recommendation: claims and their audit, prices, demand, stacks. Reads runs; measures nothing."""
