//! The Gram matrices: effective ranks, and how far the gradients agree.

use crate::report::chart::{Drawn, Scale, Sketch};
use crate::report::recorded::Recorded;
use crate::report::style::Style;
use crate::report::style::colors::{BLUE, GREEN, ORANGE, PURPLE, VERMILLION};
use crate::report::words;

/// The three Grams: prefix of their columns, words, colour.
const GRAMS: [(&str, &str, &str); 3] = [
    ("cosine", "cosine", VERMILLION),
    ("raw", "raw", BLUE),
    ("centred", "centred", GREEN),
];

/// The other ranks: suffix of their columns, the name of their tab.
const RANKS: [(&str, &str); 4] = [
    ("participation_ratio", "participation"),
    ("participation_ratio_population", "population"),
    ("erank_lambda", "eigenvalue erank"),
    ("stable_rank", "stable rank"),
];

pub fn charts(recorded: &Recorded) -> Vec<Drawn> {
    // Constant over a run: the same subset of samples at all steps.
    let n = recorded.last_step().and_then(|last| recorded.latest("n", last));
    vec![
        effective_rank(recorded, n),
        other_ranks(recorded, n),
        agreement(recorded),
        conflict(recorded),
        memory(recorded),
    ]
}

fn of_samples(n: Option<f64>) -> String {
    n.map_or_else(String::new, |n| format!(" of n = {} samples", words::count(n as u64)))
}

fn effective_rank(recorded: &Recorded, n: Option<f64>) -> Drawn {
    let mut sketch = Sketch::new(
        recorded,
        "chart-effective-rank",
        "Effective rank of the per-sample gradients",
    )
    .wide()
    .y("effective rank", Scale::Linear)
    .with_zero()
    .caption(format!(
        "erank = exp(−Σ q ln q) with q = s/Σs over the singular values s of the gradients{} (Roy and Vetterli): \
             in how many directions the samples pull. Raw gradients; cosine: each at norm 1; centred: less their mean. \
             Dashed: the same norms in random directions, so a fall that the dashed line shares comes from the norms \
             alone.",
        of_samples(n)
    ));
    for (gram, name, color) in GRAMS {
        sketch = sketch.column(&format!("{gram}.erank_sigma"), Style::new(name, color).share_of(n));
    }
    for (gram, name, color) in GRAMS {
        sketch = sketch.column(
            &format!("{gram}.null_erank_sigma"),
            Style::new(format!("{name}, random"), color).dashed().share_of(n),
        );
    }
    sketch.finish()
}

fn other_ranks(recorded: &Recorded, n: Option<f64>) -> Drawn {
    let is_measured = |rank: &str| {
        GRAMS
            .iter()
            .any(|(gram, ..)| recorded.column(&format!("{gram}.{rank}")).is_some())
    };
    let (measured, missing): (Vec<_>, Vec<_>) = RANKS.into_iter().partition(|(rank, _)| is_measured(rank));
    let mut sketch = Sketch::new(recorded, "chart-ranks", "Other measures of rank")
        .y("rank", Scale::Log)
        .tabs(measured.iter().map(|(_, tab)| *tab))
        .caption(format!(
            "For the eigenvalues λ of each Gram matrix{}: participation ratio (Σλ)²/Σλ²; its population value, \
             corrected for the finite sample and without a ceiling at n; exp(−Σ q ln q) with q = λ/Σλ, dashed where \
             random directions would put it; stable rank Σλ/max λ. Each is at most the effective rank above, the \
             population value excepted.",
            of_samples(n)
        ));
    for (tab, (rank, _)) in measured.iter().enumerate() {
        // The population value has no ceiling at n, of which it could be a share.
        let share_of = n.filter(|_| *rank != "participation_ratio_population");
        for (gram, name, color) in GRAMS {
            let style = Style::new(name, color).in_tab(tab).share_of(share_of);
            sketch = sketch.column(&format!("{gram}.{rank}"), style);
            if *rank == "erank_lambda" {
                let style = Style::new(format!("{name}, random"), color).dashed();
                sketch = sketch.column(
                    &format!("{gram}.null_erank_lambda"),
                    style.in_tab(tab).share_of(share_of),
                );
            }
        }
    }
    for (rank, _) in missing {
        for (gram, ..) in GRAMS {
            sketch = sketch.lacks(&format!("{gram}.{rank}"));
        }
    }
    sketch.finish()
}

fn agreement(recorded: &Recorded) -> Drawn {
    Sketch::new(recorded, "chart-agreement", "Agreement between samples")
        .y("coherence, cosine", Scale::Linear)
        .column("coherence", Style::new("coherence", BLUE))
        .column("coherence_unbiased", Style::new("coherence, unbiased", BLUE).dashed())
        .column("mean_cosine", Style::new("mean cosine", VERMILLION))
        .caption(
            "Coherence α = |mean g|²/mean |g|² over the step's batch: 1/n for orthogonal gradients, 1 for equal ones; \
             unbiased, (nα − 1)/(n − 1), it is 0 for orthogonal ones. Mean cosine over all pairs of non-zero gradients \
             of the Gram subset, which does not see the norms.",
        )
        .finish()
}

fn conflict(recorded: &Recorded) -> Drawn {
    Sketch::new(recorded, "chart-conflict", "Conflict between samples")
        .y("cosine, share of pairs", Scale::Linear)
        .column("negative_fraction", Style::new("share of negative cosines", ORANGE))
        .column("min_cosine", Style::new("least cosine", PURPLE))
        .caption(
            "Over the same pairs: the share whose cosine is below 0, where a step for one sample undoes another, and \
             the least cosine of all. Random directions have a share of one half.",
        )
        .finish()
}

fn memory(recorded: &Recorded) -> Drawn {
    Sketch::new(recorded, "chart-temporal", "Agreement between steps")
        .y("cosine", Scale::Linear)
        .column("temporal_cosine", Style::new("with the gradient before", BLUE))
        .column("momentum_cosine", Style::new("with the momentum before", VERMILLION))
        .caption(
            "Cosine of the batch's mean gradient with the gradient of the step before, and with the optimiser's first \
             moment before it sees the new gradient. Near 1 the descent runs straight; below 0 it turns back.",
        )
        .finish()
}
