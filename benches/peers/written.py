"""The three files of a comparison: peers.json with everything, peers.md with tables, peers.svg with one picture."""

import json


def write(out, result):
    (out / "peers.json").write_text(json.dumps(result, indent=1) + "\n")
    (out / "peers.md").write_text(markdown(result))
    if result["tasks"]:
        picture(out / "peers.svg", result)


def table(head, rows):
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines) + "\n"


def milliseconds(result):
    if result is None:
        return ""
    if "error" in result:
        return "failed"
    s = result["seconds"]
    number = lambda x: f"{1e3 * x:,.0f}" if x >= 0.1 else f"{1e3 * x:.1f}"
    return f"{number(s['median'])} ({number(s['lower_quartile'])} to {number(s['upper_quartile'])})"


def grouped(reasons):
    """Kinds that have the same reason stand together."""
    kinds = {}
    for kind, why in reasons.items():
        kinds.setdefault(why, []).append(kind)
    return "; ".join(f"{', '.join(these)}: {why}" for why, these in kinds.items())


def markdown(result):
    machine, settings = result["machine"], result["settings"]
    versions = sorted({(package, version) for found in result["versions"]["peers"].values() for package, version in found.items()
                       if version})
    parts = ["# gmatrix and its peers\n",
             f"{machine['gpu'] or machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, {machine['precision']}, "
             f"{machine['system']}. {result['versions']['gmatrix']}, Python {result['versions']['python']}, "
             + ", ".join(f"{package} {version}" for package, version in versions) + ".\n"]
    if settings["overrides"]:
        parts.append(f"Not the presets as they are: {', '.join(settings['overrides'])}.\n")
    order = list(result["does"])

    def grid(tables, cell):
        found = [name for name in ("gmatrix", *order) if any(name in one for one in tables.values())]
        return table(["", *tables], [[name, *(cell(one.get(name)) for one in tables.values())] for name in found])

    if result["agreement"]:
        mark = lambda one: "" if one["agrees"] else " (!)"
        error = lambda one: "" if one is None else "failed" if "failed" in one else f"{one['error']:.1e}{mark(one)}"
        parts += ["## Agreement\n", "Errors against plain PyTorch in float64; `agreement.py` defines them. (!): above the bound, "
                  + ", ".join(f"{kind} {bound:.0e}" for kind, bound in result["bounds"].items()) + ".\n",
                  grid(result["agreement"], error)]
        ranks = [one["erank_error"] for t in result["agreement"].values() for one in t.values() if "erank_error" in one]
        if ranks:
            parts.append(f"Effective ranks differ from those in float64 by up to {max(ranks):.1e} relative.\n")
    if result["tasks"]:
        tables = {name: task["results"] for name, task in result["tasks"].items()}
        parts += ["## Time\n", f"Milliseconds: median (quartiles) of up to {settings['rounds']} rounds of {settings['repeats']} calls, "
                  "in which the peers took turns.\n", grid(tables, milliseconds),
                  "Of gmatrix, `gram/N` holds the statistics too: it has no Gram matrix without them. Its `ntcov` also splits "
                  "each property's change in the step into parts. Its `runs` are medians of `gmatrix bench`, one a round.\n"]
        megabytes = lambda one: "" if one is None or "peak" not in one else f"{one['peak'] / 1e6:,.0f}"
        parts += ["## Memory\n", "Megabytes at the peak, of peers above what their process held before the task; of gmatrix "
                  "the whole process, program, weights, examples and training included.\n", grid(tables, megabytes)]
        first = lambda one: "" if one is None or "first" not in one else f"{one['first']:.2f}"
        parts += ["## First call\n", "Seconds of the first call, compilation included.\n", grid(tables, first)]
        differ = [task["disagreement"] for task in result["tasks"].values() if task["disagreement"] is not None]
        if differ:
            parts.append("At full size the traces, norms and a corner of the Gram matrices of all peers but gmatrix differ by at "
                         f"most {max(differ):.1e} relative. Load before the tasks: "
                         f"{min(t['load_before'] for t in result['tasks'].values()):.1f} to "
                         f"{max(t['load_before'] for t in result['tasks'].values()):.1f}.\n")
    parts += ["## What a peer is, and what it has no part in\n",
              table(["peer", "what it does", "no part in"],
                    [[name, result["does"][name], grouped(reasons)] for name, reasons in result["cannot"].items()])]
    failures = [(name, task, one["error"]) for task, found in result["tasks"].items()
                for name, one in found["results"].items() if "error" in one]
    failures += [(name, f"agreement on {task}", one["failed"]) for task, found in result["agreement"].items()
                 for name, one in found.items() if "failed" in one]
    if failures:
        parts += ["## What failed\n", table(["peer", "task", "reason"], [[n, t, why.replace("|", "/")] for n, t, why in failures])]
    if result["absent"]:
        parts += ["## Absent\n", "".join(f"- {name}: not installed: {', '.join(p)}\n" for name, p in result["absent"].items())]
    return "\n".join(parts)


def picture(path, result):
    """A panel a task, a bar a peer, logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "peers"}
    import matplotlib.pyplot as plt

    tables = {name: {peer: one["seconds"] for peer, one in task["results"].items() if "seconds" in one}
              for name, task in result["tasks"].items()}
    tables = {name: found for name, found in tables.items() if found}
    if not tables:
        return
    columns = min(3, len(tables))
    rows = -(-len(tables) // columns)
    most = max(map(len, tables.values()))
    figure, axes = plt.subplots(rows, columns, figsize=(4.2 * columns, (0.24 * most + 0.7) * rows), squeeze=False,
                                layout="constrained")
    for axis, (name, found) in zip(axes.flat, tables.items()):
        order = sorted(found, key=lambda peer: -found[peer]["median"])
        medians = [1e3 * found[peer]["median"] for peer in order]
        spread = [[1e3 * abs(found[peer]["median"] - found[peer][end]) for peer in order] for end in ("lower_quartile", "upper_quartile")]
        colours = ["#d1495b" if peer == "gmatrix" else "#8d99ae" for peer in order]
        axis.barh(order, medians, xerr=spread, color=colours, error_kw={"lw": 1})
        axis.set_xscale("log")
        axis.set_xlim(left=min(medians) / 3)
        axis.minorticks_off()
        axis.set_title(f"{name}, ms", fontsize=9)
        axis.tick_params(labelsize=7)
    for axis in axes.flat[len(tables):]:
        axis.axis("off")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
