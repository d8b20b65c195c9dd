"""Settings of the optimisers; each is run for several steps."""

SGD = [
    {"lr": 0.1},
    {"lr": 0.1, "weight_decay": 0.01},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.9, "dampening": 0.5},
    {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    {"lr": 0.1, "maximize": True},
    {
        "lr": 0.01,
        "momentum": 0.5,
        "dampening": 0.1,
        "weight_decay": 0.2,
        "maximize": True,
    },
    {"lr": 0.0, "momentum": 0.9},
]
