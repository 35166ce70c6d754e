//! How lines look.

use plotly::common::DashType;

/// Colours that readers with any colour vision tell apart (Okabe and Ito 2008), and greys.
pub mod colors {
    pub const BLUE: &str = "#0072b2";
    pub const VERMILLION: &str = "#d55e00";
    pub const GREEN: &str = "#009e73";
    pub const PURPLE: &str = "#b5629a";
    pub const ORANGE: &str = "#e69f00";
    pub const SKY: &str = "#56b4e9";
    pub const BLACK: &str = "#22262b";
    pub const GREY: &str = "#8a9099";

    /// The colour of the k-th of many alike.
    pub fn cycle(k: usize) -> &'static str {
        [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK][k % 7]
    }
}

/// How a line looks.
#[derive(Clone)]
pub struct Style {
    /// In the legend.
    pub name: String,
    /// One of [`colors`].
    pub color: &'static str,
    /// How it is broken.
    pub dash: DashType,
    /// In pixels.
    pub width: f64,
    /// The alternative that it is part of.
    pub tab: Option<usize>,
    /// The number as a share of which its values are told too.
    pub share_of: Option<f64>,
}

impl Style {
    /// A solid line with a name for the legend.
    pub fn new(name: impl Into<String>, color: &'static str) -> Self {
        Self {
            name: name.into(),
            color,
            dash: DashType::Solid,
            width: 1.8,
            tab: None,
            share_of: None,
        }
    }

    /// Dashed: what is expected, beside what was measured.
    pub fn dashed(mut self) -> Self {
        self.dash = DashType::Dash;
        self.width = 1.4;
        self
    }

    /// Dotted: for comparison only.
    pub fn dotted(mut self) -> Self {
        self.dash = DashType::Dot;
        self.width = 1.4;
        self
    }

    /// Thin and in the background.
    pub fn thin(mut self) -> Self {
        self.width = 1.0;
        self
    }

    /// Part of the alternative with this number.
    pub fn in_tab(mut self, tab: usize) -> Self {
        self.tab = Some(tab);
        self
    }

    /// Also told as a share of `n` under the pointer.
    pub fn share_of(mut self, n: Option<f64>) -> Self {
        self.share_of = n;
        self
    }
}
