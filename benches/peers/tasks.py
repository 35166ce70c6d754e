"""What is asked of every peer: names, sizes, and what each answer must hold."""

from dataclasses import dataclass

# Of the complete table of pairs; splits as gmatrix draws them. Single samples are of the test split.
PROPERTIES = ("train_loss", "test_loss", "half_norm2", "mean_log_odds_train", "mean_log_odds_test", "logit:test:0:0",
              "prob:test:0:0", "log_odds:test:0")

# What gmatrix prints of a Gram matrix without its spectrum, but the null levels, which no peer has.
STATISTICS = ("per_sample_norm_mean", "per_sample_norm_min", "per_sample_norm_max", "per_sample_norm_log_sd", "coherence",
              "coherence_unbiased", "noise_trace", "noise_g2", "mean_cosine", "min_cosine", "negative_fraction",
              "centring_condition") + tuple(f"{form}.participation_ratio{end}" for form in ("raw", "cosine", "centred")
                                            for end in ("", "_population"))
SPECTRUM = tuple(f"{form}.{name}" for form in ("raw", "cosine", "centred")
                 for name in ("erank_sigma", "erank_lambda", "stable_rank"))


@dataclass(frozen=True)
class Task:
    kind: str  # step, gram, statistics, spectrum, ntcov or runs
    size: int  # samples, properties or runs; 0 for a step, which takes the whole training split

    @property
    def name(self):
        return f"{self.kind}/{self.size}" if self.size else self.kind

    @property
    def preset(self):
        return "quick" if self.kind == "runs" else "nanda"

    @property
    def calls(self):
        """How often the work is called before its numbers are compared: training is compared after several steps."""
        return 3 if self.kind in ("step", "runs") else 1


KINDS = {
    "step": "a full-batch AdamW step of preset nanda",
    "gram": "forward and backward pass over N samples and the Gram matrix of their gradients",
    "statistics": "the same, and all statistics that need no eigenvalues",
    "spectrum": "the same, and all eigenvalues of the raw, cosine and centred matrix, with effective ranks",
    "ntcov": "values and gradients of 8 properties over the whole table of pairs, and the products of all two gradients",
    "runs": "one full-batch AdamW step of each of R runs of preset quick, each with its own weights and split",
}


def sizes(samples):
    """Sizes of the Gram matrices: `samples` is that of the training split. gmatrix solves spectra up to 1,024."""
    grams = [n for n in (512, 1024, 2048) if n < samples] + [samples]
    return grams, [n for n in grams if n <= 1024] or [samples]


def all_tasks(samples, quick):
    grams, spectra = sizes(samples)
    if quick:
        grams, spectra = grams[:2], spectra[:1]
    tasks = [Task("step", 0)]
    tasks += [Task("gram", n) for n in grams] + [Task("statistics", n) for n in grams]
    tasks += [Task("spectrum", n) for n in spectra] + [Task("ntcov", len(PROPERTIES)), Task("runs", 8)]
    return tasks if quick else tasks + [Task("runs", 32)]


def agreement_tasks(samples):
    """Small enough for gradients of single samples in float64, large enough for several blocks of a Gram matrix."""
    n = min(300, samples)
    return [Task("step", 0), Task("gram", n), Task("statistics", n), Task("spectrum", n), Task("ntcov", len(PROPERTIES)),
            Task("runs", 3)]
