"""Grey levels from 0 to 1."""


def transform(x):
    return x / 255
