"""The RNA network in NumPy, one sequence at a time: no batch, no padding, double precision.

Written from the papers: attention and layers from Vaswani et al. 2017 with the norms after the
additions, rotary positions from Su et al. 2021 (equation 34, as turns of complex numbers), GELU
from Hendrycks and Gimpel 2016. Convolutions and sums over enclosing pairs are loops over cells.

`state` maps names of weights to arrays, as the trained network calls them.
"""

import math

import numpy as np

EPS = 1e-12
MIN_LOOP, FARTHEST, N_TOKENS, SHARPNESS = 3, 127, 9, 3.0

_erf = np.vectorize(math.erf)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return x * (1 + _erf(x / math.sqrt(2))) / 2


def softmax(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum()


def linear(state, name, x):
    y = x @ state[f"{name}.weight"].T
    return y + state[f"{name}.bias"] if f"{name}.bias" in state else y


def layer_norm(state, name, x):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPS)
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


def turned(vector, position):
    """A vector whose channels k and k + d/2 are a complex number each, turned by the position."""
    half = len(vector) // 2
    z = vector[:half] + 1j * vector[half:]
    z = z * np.exp(1j * position * 10_000.0 ** (-2 * np.arange(half) / len(vector)))
    return np.concatenate([z.real, z.imag])


def attention_scores(state, name, x, n_heads, rotary):
    """Scores before the softmax, shape (heads, tokens, tokens), and the values."""
    n, width = x.shape
    d = width // n_heads
    joint = linear(state, f"{name}.joint", x)
    query, key, value = joint[:, :width], joint[:, width : 2 * width], joint[:, 2 * width :]
    scores = np.zeros((n_heads, n, n))
    for h in range(n_heads):
        own = slice(h * d, (h + 1) * d)
        for i in range(n):
            for j in range(n):
                q, k = query[i, own], key[j, own]
                if rotary:
                    q, k = turned(q, i), turned(k, j)
                scores[h, i, j] = q @ k / math.sqrt(d)
    return scores, value


def attention(state, name, x, n_heads, rotary):
    n, width = x.shape
    d = width // n_heads
    scores, value = attention_scores(state, name, x, n_heads, rotary)
    mixed = np.zeros((n, width))
    for h in range(n_heads):
        own = slice(h * d, (h + 1) * d)
        for i in range(n):
            mixed[i, own] = softmax(scores[h, i]) @ value[:, own]
    return linear(state, f"{name}.out", mixed)


def layer(state, name, x, n_heads, rotary):
    attended = attention(state, f"{name}.attention", x, n_heads, rotary)
    x = layer_norm(state, f"{name}.after_attention", x + attended)
    wide = gelu(linear(state, f"{name}.widen", x))
    narrow = linear(state, f"{name}.narrow", wide)
    return layer_norm(state, f"{name}.after_feed_forward", x + narrow)


def encode(state, tokens, n_heads, n_layers, rotary):
    """Vectors of all tokens, CLS and SEP included; shape (tokens, d_model)."""
    x = state["encoder.tokens.weight"][tokens]
    if not rotary:
        x = x + state["encoder.places.weight"][: len(tokens)]
    x = layer_norm(state, "encoder.after_embedding", x)
    for k in range(n_layers):
        x = layer(state, f"encoder.layers.{k}", x, n_heads, rotary)
    return layer_norm(state, "encoder.last_norm", x)


def nucleotides(state, hidden):
    dense = gelu(linear(state, "nucleotides.dense", hidden))
    return linear(state, "nucleotides.decoder", layer_norm(state, "nucleotides.norm", dense))


def bilinear(state, hidden):
    """Pair logits; shape (bases, bases)."""
    left, right = linear(state, "pairs.left", hidden), linear(state, "pairs.right", hidden)
    n, d = hidden.shape
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            both = (left[i] @ right[j] + left[j] @ right[i]) / 2
            out[i, j] = state["pairs.scale"] * both / math.sqrt(d) + state["pairs.prior"]
    return out


def first_map(state, hidden, tokens, features):
    n = len(tokens)
    five, three = linear(state, "pairs.five", hidden), linear(state, "pairs.three", hidden)
    cells = np.zeros((n, n, five.shape[1]))
    for i in range(n):
        for j in range(n):
            apart = max(-FARTHEST, min(FARTHEST, j - i))
            cells[i, j] = (
                five[i]
                + three[j]
                + state["pairs.letters.weight"][tokens[i] * N_TOKENS + tokens[j]]
                + state["pairs.distance.weight"][apart + FARTHEST]
            )
            if features is not None:
                cells[i, j] += state["pairs.given.weight"] @ features[i, j]
    return cells


def row_context(state, name, cells):
    n, _, channels = cells.shape
    scores = linear(state, f"{name}.score", cells)
    out = cells.copy()
    for i in range(n):
        found = [softmax(scores[i, :, h]) @ cells[i] for h in range(scores.shape[2])]
        told = linear(state, f"{name}.mix", np.concatenate(found))
        out[i] += told[:channels]
        out[:, i] += told[channels:]
    return out


def convolved(weight, bias, cells, dilation):
    """3 x 3, dilated; beyond the edge there is nothing."""
    n = len(cells)
    out = np.zeros((n, n, len(bias))) + bias
    for i in range(n):
        for j in range(n):
            for a in range(3):
                for b in range(3):
                    k, m = i + (a - 1) * dilation, j + (b - 1) * dilation
                    if 0 <= k < n and 0 <= m < n:
                        out[i, j] += weight[:, :, a, b] @ cells[k, m]
    return out


def pair_block(state, name, cells, dilation):
    active = np.maximum(cells, 0)
    if f"{name}.context.score.weight" in state:
        active = row_context(state, f"{name}.context", active)
    new = convolved(state[f"{name}.conv.weight"], state[f"{name}.conv.bias"], active, dilation)
    return cells + state[f"{name}.weight"] * new


def conv_pairs(state, hidden, tokens, dilations, features=None):
    """Pair logits (bases, bases), and the last map (bases, bases, channels)."""
    cells = first_map(state, hidden, tokens, features)
    for k, dilation in enumerate(dilations):
        cells = pair_block(state, f"pairs.blocks.{k}", cells, dilation)
    active = np.maximum(cells, 0)
    logits = linear(state, "pairs.out", active)[..., 0]
    return (logits + logits.T) / 2, active


def enclosing(cells):
    """Sum of cells[i, j] over all i < k < j, for each k."""
    n = len(cells)
    out = np.zeros((n, cells.shape[2]))
    for k in range(n):
        for i in range(k):
            for j in range(k + 1, n):
                out[k] += cells[i, j]
    return out


def near(weight, bias, vectors):
    """One-dimensional convolution over bases; beyond the ends there is nothing."""
    n, reach = len(vectors), weight.shape[2] // 2
    out = np.zeros((n, len(bias))) + bias
    for k in range(n):
        for step in range(weight.shape[2]):
            if 0 <= k + step - reach < n:
                out[k] += weight[:, :, step] @ vectors[k + step - reach]
    return out


def pair_loops(state, hidden, cells, logits):
    """Loop logits of the conv head; shape (bases, 5)."""
    n = len(hidden)
    paired = np.zeros((n, n))
    for i in range(n):
        for j in range(i + MIN_LOOP + 1, n):
            paired[i, j] = sigmoid(logits[i, j])
    kinds = sigmoid(linear(state, "loops.kinds", cells))
    row = np.stack([softmax(SHARPNESS * logits[i]) @ cells[i] for i in range(n)])
    known = np.concatenate(
        [
            hidden,
            row,
            cells.mean(1),
            enclosing(paired[..., None] * kinds),
            paired.sum(1)[:, None],
            paired.sum(0)[:, None],
        ],
        axis=1,
    )
    vectors = gelu(linear(state, "loops.join", known))
    for k in range(2):
        name = f"loops.near.{k}"
        vectors = vectors + gelu(near(state[f"{name}.weight"], state[f"{name}.bias"], vectors))
    return linear(state, "loops.out", vectors)


def answer(state, tokens, n_heads, n_layers, rotary, dilations=(), features=None):
    """Logits of nucleotides, loops and pairs of a sequence given with its CLS and SEP.

    With `dilations` the pair head is the convolutional one.
    """
    hidden = encode(state, tokens, n_heads, n_layers, rotary)[1:-1]
    if not dilations:
        loops = linear(state, "loops.linear", hidden)
        return nucleotides(state, hidden), loops, bilinear(state, hidden)
    logits, cells = conv_pairs(state, hidden, tokens[1:-1], dilations, features)
    return nucleotides(state, hidden), pair_loops(state, hidden, cells, logits), logits
