//! Sites as parts of others: rows of numbers, a group's tensors, a weight without its bias.

use crate::model::{Layout, TensorGroup};
use crate::plan::{Site, SiteKind, Strided, View};

/// Rows of numbers as a site: sample n's start `start + n * stride` in; `(stride, start)`.
pub(super) fn materialised(name: &str, view: View, (samples, start): (usize, usize), width: usize) -> Site {
    let stride_n = view.len() / samples.max(1);
    Site {
        name: name.to_owned(),
        kind: SiteKind::Materialised,
        positions: 1,
        d_in: 0,
        d_out: width,
        a: None,
        b: Strided {
            view: view.part(start, view.len() - start),
            stride_n,
            stride_t: 0,
        },
        ids: None,
        weight: None,
        bias: None,
    }
}

/// The parts of sites that belong to a group: a weight and its bias may be of two.
pub(super) fn sites_of(sites: &[Site], layout: &Layout, group: TensorGroup) -> Vec<Site> {
    let is_of = |tensor: Option<usize>| tensor.is_some_and(|place| layout.tensors[place].group == group);
    let mut parts = Vec::new();
    for site in sites {
        if is_of(site.weight) {
            parts.push(weight_of(site, layout));
        }
        if is_of(site.bias) {
            parts.push(bias_of(site, layout));
        }
    }
    parts
}

/// A site without its bias.
fn weight_of(site: &Site, layout: &Layout) -> Site {
    let (Some(weight), Some(_)) = (site.weight, site.bias) else {
        return site.clone();
    };
    match site.kind {
        SiteKind::LinearBias => Site {
            kind: SiteKind::Linear,
            bias: None,
            ..site.clone()
        },
        // The bias's gradient stands behind the weight's.
        _ => Site {
            d_out: layout.tensors[weight].len(),
            bias: None,
            ..site.clone()
        },
    }
}

/// The bias of a site alone.
fn bias_of(site: &Site, layout: &Layout) -> Site {
    let weight = site.weight.map_or(0, |place| layout.tensors[place].len());
    match site.kind {
        // A product of width 0, and the bias.
        SiteKind::LinearBias => Site {
            d_in: 0,
            a: None,
            weight: None,
            ..site.clone()
        },
        _ => {
            let samples = site.b.view.len() / site.b.stride_n.max(1);
            materialised(&site.name, site.b.view, (samples, weight), site.d_out - weight)
        }
    }
}
