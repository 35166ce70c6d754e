//! Frequencies and neurons, from the weights that were kept.

use plotly::HeatMap;
use plotly::common::{ColorScale, ColorScalePalette};

use crate::report::chart::{Drawn, Scale, Sketch};
use crate::report::recorded::Recorded;
use crate::report::style::Style;
use crate::report::style::colors::{BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION, cycle};

/// What is told of each key frequency: columns, tab, whether the picture of all frequencies is another chart.
const OF_KEYS: [(&str, &str); 3] = [
    ("fourier.similarity", "cosine similarity"),
    ("fourier.cosine", "cosine coefficient"),
    ("fourier.excluded_loss_without", "loss without it"),
];

pub fn charts(recorded: &Recorded) -> Vec<Drawn> {
    vec![
        losses(recorded),
        spectrum(
            recorded,
            ("chart-spectrum-logits", "Spectrum of the logits", "fourier.logits"),
            "Each frequency's share of the variance of the logits over all pairs, as far as they depend on the sum of the \
             operands alone. Bright lines are the frequencies the network adds by.",
        ),
        spectrum(
            recorded,
            ("chart-spectrum-neurons", "Clusters of neurons", "fourier.neurons"),
            "Share of the neurons' norms |w_in||w_out| that belongs to the neurons of each frequency: those for which \
             one frequency explains at least 85 % of the variance (70 % if they are quadratic).",
        ),
        spectrum(
            recorded,
            ("chart-spectrum-embedding", "Spectrum of the embedding", "fourier.embed"),
            "Each frequency's share of the squared norm of the operands' embeddings, their mean left out.",
        ),
        keys(recorded),
        selection(recorded),
        concentration(recorded),
        algorithm(recorded),
    ]
}

fn losses(recorded: &Recorded) -> Drawn {
    Sketch::new(recorded, "chart-fourier-losses", "Losses of parts of the logits")
        .wide()
        .y("loss", Scale::Log)
        .column("train_loss", Style::new("training split", GREY).thin())
        .column("test_loss", Style::new("test split", VERMILLION))
        .column("fourier.restricted_loss_final", Style::new("restricted", GREEN))
        .column("fourier.excluded_loss_final", Style::new("excluded", PURPLE))
        .column(
            "fourier.restricted_loss_current",
            Style::new("restricted, current keys", GREEN).dotted(),
        )
        .column(
            "fourier.excluded_loss_current",
            Style::new("excluded, current keys", PURPLE).dotted(),
        )
        .caption(
            "Restricted: the loss over all pairs of that part of the logits which depends on the sum of the operands at \
             the key frequencies. Excluded: the loss on the training split without that part. Where restricted falls \
             before the test loss does, the circuit grows unseen; where excluded rises, memory is given up for it. Key \
             frequencies are those with neurons of their own: of the last weights, or (dotted) of the step itself. \
             Those of the last weights were not known before: these lines describe the run and predict nothing.",
        )
        .finish()
}

fn spectrum(recorded: &Recorded, (id, title, prefix): (&'static str, &str, &str), caption: &str) -> Drawn {
    let mut frequencies: Vec<usize> = recorded
        .suffixes(format!("{prefix}."))
        .filter_map(|k| k.parse().ok())
        .collect();
    frequencies.sort_unstable();
    let mut sketch = Sketch::new(recorded, id, title)
        .y("frequency", Scale::Linear)
        .caption(caption);
    let lines: Vec<_> = frequencies
        .iter()
        .filter_map(|k| recorded.line(&format!("{prefix}.{k}")))
        .collect();
    let Some(first) = lines.first() else {
        return sketch.lacks(&format!("{prefix}.*")).finish();
    };
    let steps = first.steps.clone();
    for k in &frequencies {
        sketch = sketch.uses(&format!("{prefix}.{k}"));
    }
    let shares: Vec<Vec<Option<f64>>> = lines.iter().map(|line| line.values.clone()).collect();
    let map = HeatMap::new(steps, frequencies, shares)
        .color_scale(ColorScale::Palette(ColorScalePalette::Viridis))
        .hover_template("frequency %{y}: %{z:.3f}<extra></extra>");
    sketch.trace(map).finish()
}

fn keys(recorded: &Recorded) -> Drawn {
    let mut keys: Vec<usize> = recorded
        .suffixes("fourier.excluded_loss_without.".to_owned())
        .filter_map(|k| k.parse().ok())
        .collect();
    keys.sort_unstable();
    let mut sketch = Sketch::new(recorded, "chart-fourier-keys", "Key frequencies one by one")
        .y("cosine, coefficient, loss", Scale::Linear)
        .tabs(OF_KEYS.map(|(_, tab)| tab))
        .caption(
            "For each key frequency k of the last weights: the scalar product of all logits with the wave \
             cos(2πk(x + y − class)/n) of norm 1, over their norm or as it is; and the loss on the training split \
             without the part at that frequency.",
        );
    for (tab, (prefix, _)) in OF_KEYS.iter().enumerate() {
        for name in recorded.suffixes(format!("{prefix}.")) {
            sketch = sketch.uses(&format!("{prefix}.{name}"));
        }
        for (place, k) in keys.iter().enumerate() {
            sketch = sketch.column(
                &format!("{prefix}.{k}"),
                Style::new(k.to_string(), cycle(place)).in_tab(tab),
            );
        }
    }
    if keys.is_empty() {
        sketch = sketch.lacks("fourier.excluded_loss_without.*");
    }
    sketch.finish()
}

fn selection(recorded: &Recorded) -> Drawn {
    Sketch::new(recorded, "chart-price-neurons", "Selection among neurons")
        .y("change of mean purity", Scale::Linear)
        .column("price.neurons.change", Style::new("change", GREY))
        .column("price.neurons.selection", Style::new("selection", VERMILLION))
        .column("price.neurons.transmission", Style::new("transmission", BLUE))
        .column(
            "price.neurons.between",
            Style::new("selection between frequencies", ORANGE).dashed(),
        )
        .column(
            "price.neurons.within",
            Style::new("selection within frequencies", PURPLE).dashed(),
        )
        .caption(
            "Price's equation from one kept step to the next, with neurons as units, their share of |w_in||w_out| as \
             weight and their purity as trait. Selection: purer neurons grow. Transmission: neurons get purer. Their sum \
             is the change of mean purity; the split depends on how far apart the steps are.",
        )
        .uses("price.neurons.identity_error")
        .finish()
}

fn concentration(recorded: &Recorded) -> Drawn {
    Sketch::new(recorded, "chart-fourier-concentration", "Concentration on frequencies")
        .y("share, Gini coefficient", Scale::Linear)
        .with_zero()
        .column("fourier.purity", Style::new("mean purity of neurons", BLUE))
        .column("fourier.clustered", Style::new("norm in clusters", VERMILLION))
        .column("fourier.gini_embed", Style::new("Gini, embedding", GREEN))
        .column("fourier.gini_unembed", Style::new("Gini, neurons to logits", PURPLE))
        .column(
            "fourier.inverse_participation",
            Style::new("inverse participation", ORANGE),
        )
        .uses("fourier.keys_current")
        .uses("fourier.keys_final")
        .uses("fourier.restricted_accuracy_current")
        .uses("fourier.restricted_accuracy_final")
        .caption(
            "Purity: the share of a neuron's variance that its best frequency explains, weighted by norms. Gini: how \
             unequal the norms of the Fourier components are, 0 for equal ones.",
        )
        .finish()
}

fn algorithm(recorded: &Recorded) -> Drawn {
    Sketch::new(recorded, "chart-algorithm", "Clock or pizza")
        .y("cosine, ratio", Scale::Linear)
        .column(
            "fourier.gradient_symmetricity",
            Style::new("gradient symmetricity", BLUE).in_tab(0),
        )
        .column(
            "fourier.distance_irrelevance",
            Style::new("distance irrelevance", VERMILLION).in_tab(0),
        )
        .column("fourier.frequencies", Style::new("frequencies above 5 %", GREEN).in_tab(1))
        .column("fourier.entropy", Style::new("entropy of the spectrum, nats", PURPLE).in_tab(1))
        .tabs(["algorithm", "diversity"])
        .caption(
            "Gradient symmetricity: cosine between a logit's gradients by its two operands' embeddings. Distance \
             irrelevance: how much of the correct logit's spread remains between pairs of the same distance. Networks \
             that add embeddings first (\u{201c}pizza\u{201d}) have a high symmetricity and a low irrelevance, those that \
             multiply waves (\u{201c}clock\u{201d}) the reverse (Zhong et al. 2306.17844). Diversity: how many \
             frequencies hold more than 5 % of the logits' spectrum, and its entropy.",
        )
        .finish()
}
