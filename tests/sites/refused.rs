//! Files and arrays that are not sites: one line that names what is wrong.

use std::collections::HashMap;

use gmatrix::sites::{Request, Sites};
use safetensors::tensor::{Dtype, TensorView, serialize};

/// Bytes of a file of f64 tensors.
fn file(tensors: &[(&str, &[usize])], metadata: &[(&str, &str)]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape)| vec![0; 8 * shape.iter().product::<usize>()])
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape), bytes)| {
        let view = TensorView::new(Dtype::F64, shape.to_vec(), bytes).unwrap();
        ((*name).to_owned(), view)
    });
    let metadata: HashMap<String, String> = metadata
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    serialize(views, Some(metadata)).unwrap()
}

#[test]
fn bad_files_are_named_with_what_was_expected() {
    let linear = ("sites/x/kind", "linear");
    let cases: [(Vec<u8>, &str); 8] = [
        (b"no tensors".to_vec(), "S.safetensors"),
        (file(&[("other", &[2])], &[]), "holds tensor other"),
        (
            file(&[("sites/x/a", &[2, 1, 3]), ("sites/x/b", &[2, 1, 2])], &[]),
            "sites/x/kind",
        ),
        (
            file(&[("sites/x/a", &[2, 1, 3])], &[("sites/x/kind", "convolution")]),
            "convolution",
        ),
        (file(&[("sites/x/a", &[2, 1, 3])], &[linear]), "sites/x/b"),
        (
            file(&[("sites/x/a", &[2, 3]), ("sites/x/b", &[2, 1, 2])], &[linear]),
            "[N, T, d_in]",
        ),
        (
            file(&[("sites/x/a", &[2, 4, 3]), ("sites/x/b", &[2, 1, 2])], &[linear]),
            "sites/x/b",
        ),
        (
            file(
                &[
                    ("sites/x/a", &[2, 1, 3]),
                    ("sites/x/b", &[2, 1, 2]),
                    ("sites/y/g", &[3, 5]),
                ],
                &[linear, ("sites/y/kind", "materialised")],
            ),
            "3 samples, expected 2",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("S.safetensors");
    for (bytes, words) in cases {
        std::fs::write(&path, bytes).unwrap();
        let message = Sites::read(&path).expect_err(words).to_string();
        assert!(
            message.contains(words) && message.contains("S.safetensors"),
            "{words}: {message}"
        );
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn bad_arrays_are_named_with_what_was_expected() {
    let mut sites = Sites::new(2).unwrap();
    let refused = |result: gmatrix::Result<()>, words: &str| {
        let message = result.expect_err(words).to_string();
        assert!(message.contains(words), "{words}: {message}");
    };
    refused(Sites::new(0).map(|_| ()), "0 samples");
    refused(sites.statistics(&Request::default()).map(|_| ()), "there are no sites");
    refused(sites.linear("x", &[1.0; 5], 3, &[1.0; 2], 1), "a has 5 numbers");
    refused(sites.linear("x", &[1.0; 6], 3, &[1.0; 3], 1), "b has 3 numbers");
    refused(sites.linear("x", &[1.0; 6], 3, &[f64::NAN; 2], 1), "NaN");
    refused(sites.embedding("x", &[0, 9], &[1.0; 2], 1, Some(4)), "ids hold 9");
    sites.materialised("x", &[1.0; 4]).unwrap();
    refused(sites.materialised("x", &[1.0; 4]), "twice");
}
