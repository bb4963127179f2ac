"""Equations of the m-RNNs in plain NumPy, from which the tests of layers and variants start."""

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def relu(x):
    return np.maximum(0.0, x)


def g2(x):
    return 1.7159 * np.tanh(2.0 / 3.0 * x)


def plain_relu(weights, x, states):
    """One step of the paper's recurrent layer; weights by name, x (B, n), states of (B, units) -> output, states."""
    (r,) = states
    r = relu(r @ weights["kernel"] + x + weights["bias"])
    return r, [r]


def plain_gru(weights, x, states):
    """The gates one by one; the columns of the matrices are those of r, z and c."""
    (h,) = states
    u_r, u_z = np.split(weights["gates"], 2, axis=1)
    b_r, b_z, b_c = np.split(weights["bias"], 3)
    x_r, x_z, x_c = np.split(x, 3, axis=1)
    r = sigmoid(x_r + h @ u_r + b_r)
    z = sigmoid(x_z + h @ u_z + b_z)
    c = np.tanh(x_c + (r * h) @ weights["candidate"] + b_c)
    h = z * h + (1.0 - z) * c
    return h, [h]


def plain_lstm(weights, x, states):
    """As above, in the order i, c, f, o."""
    h, c = states
    (u_i, u_c, u_f, u_o), (x_i, x_c, x_f, x_o) = (np.split(each, 4, axis=1) for each in (weights["kernel"], x))
    b_i, b_c, b_f, b_o = np.split(weights["bias"], 4)
    p_i, p_f, p_o = weights.get("peephole", np.zeros((3, c.shape[1])))
    i = sigmoid(x_i + h @ u_i + p_i * c + b_i)
    f = sigmoid(x_f + h @ u_f + p_f * c + b_f)
    c = f * c + i * np.tanh(x_c + h @ u_c + b_c)
    o = sigmoid(x_o + h @ u_o + p_o * c + b_o)
    h = o * np.tanh(c)
    return h, [h, c]
