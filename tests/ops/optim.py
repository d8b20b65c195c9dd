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
ADAM = [
    {},
    {"lr": 0.1, "betas": (0.5, 0.7), "eps": 1e-3},
    {"lr": 0.1, "weight_decay": 0.2, "maximize": True},
    {"lr": 0.1, "betas": (0.9, 0.3), "amsgrad": True},
    {"lr": 0.1, "betas": (0.0, 0.0), "weight_decay": 0.1, "amsgrad": True},
]
RMSPROP = [
    {},
    {"lr": 0.1, "alpha": 0.5, "eps": 1e-2, "weight_decay": 0.2},
    {"lr": 0.1, "momentum": 0.9, "maximize": True},
    {"lr": 0.1, "centered": True, "eps": 1e-3},
    {"lr": 0.01, "centered": True, "momentum": 0.5, "alpha": 0.9, "weight_decay": 0.1},
]
STEPS = {"SGD": SGD, "Adam": ADAM, "AdamW": ADAM, "RMSprop": RMSPROP}
