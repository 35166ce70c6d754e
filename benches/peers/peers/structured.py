"""What the structured Gram matrices of PyTorch and of JAX share: no gradient of a sample is ever formed.

A matrix W that saw a [T, d_in] and whose output has cotangent b [T, d_out] adds sum_{t,s} (a_it . a_js)(b_it . b_js) to
g_i . g_j; an embedding adds b_it . b_js where the tokens agree. Positions at which a cotangent is zero take no part: only W_K
and W_V and the embeddings have more than the last.
"""


def taps_of(w, n, T):
    D, hidden, classes = w["W_Q"].shape[0], w["W_in"].shape[1], w["W_U"].shape[1]
    shapes = {"x": (T, D), "q": (D,), "k": (T, D), "v": (T, D), "o": (D,), "in": (hidden,), "out": (D,), "u": (classes,)}
    return {name: (n, *shape) for name, shape in shapes.items()}


def arranged(xp, tokens, d, captured, front):
    """K and V have the same input at all positions, Q has it at the last: their cotangents stand side by side."""
    x, mixed, middle, hidden, final = captured
    dkv = front(xp.concatenate([d["k"], d["v"]], -1))
    return {"ids": tokens.T, "x": front(x), "dx": front(d["x"]), "dkv": dkv,
            "dqkv": xp.concatenate([dkv[-1], d["q"]], -1),
            "last": [(mixed, d["o"], 0.0), (middle, d["in"], 1.0), (hidden, d["out"], 1.0), (final, d["u"], 0.0)]}


def gram_of_block(sites, I, J):
    """Rows I and columns J of the Gram matrix, for a compiler to fuse; `lower_triangle` is the same by hand.

    The last token is `=` in all samples and stands nowhere else: it agrees always, and so does its position.
    """
    ids, x, dx, dkv, dqkv = sites["ids"], sites["x"], sites["dx"], sites["dkv"], sites["dqkv"]
    T = len(x)
    out = 2 * (dx[-1, I] @ dx[-1, J].T)
    for t in range(T - 1):
        for s in range(T - 1):
            same = (ids[t, I][:, None] == ids[s, J][None, :]) * 1.0 + (t == s)
            out = out + same * (dx[t, I] @ dx[s, J].T)
    for t in range(T):
        for s in range(T):
            b = dqkv[I] @ dqkv[J].T if t == s == T - 1 else dkv[t, I] @ dkv[s, J].T
            out = out + (x[t, I] @ x[s, J].T) * b
    for a, b, bias in sites["last"]:
        out = out + (a[I] @ a[J].T + bias) * (b[I] @ b[J].T)
    return out
