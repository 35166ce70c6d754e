//! Losses and accuracies.

use crate::report::chart::{Drawn, Scale, Sketch};
use crate::report::recorded::Recorded;
use crate::report::style::Style;
use crate::report::style::colors::{BLUE, GREY, VERMILLION};

pub fn charts(recorded: &Recorded) -> Vec<Drawn> {
    vec![losses(recorded), accuracies(recorded)]
}

fn losses(recorded: &Recorded) -> Drawn {
    Sketch::new(recorded, "chart-losses", "Losses")
        .y("loss", Scale::Log)
        .column("batch_loss", Style::new("batch of the step", GREY).thin())
        .column("train_loss", Style::new("training split", BLUE))
        .column("test_loss", Style::new("test split", VERMILLION))
        .caption(
            "Mean loss over each whole split, and over the batch of every step. Memorisation is where the training \
             loss falls alone; at grokking the test loss follows.",
        )
        .finish()
}

fn accuracies(recorded: &Recorded) -> Drawn {
    Sketch::new(recorded, "chart-accuracy", "Accuracies")
        .y("share of samples right", Scale::Linear)
        .column("train_accuracy", Style::new("training split", BLUE))
        .column("test_accuracy", Style::new("test split", VERMILLION))
        .caption(
            "Share of each whole split whose greatest logit is the label's. Memorised: training accuracy of at least \
             0.99. Grokked: running median of the test accuracy over 50 steps of at least 0.95.",
        )
        .finish()
}
