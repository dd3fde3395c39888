"""What all inverse models share: input checks, scaling, noise, the domain of the data, time budgets."""
