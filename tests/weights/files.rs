//! Files come back as they were, and files of other programs are understood.

use gmatrix::Result;
use gmatrix::model::weights::{Overrides, WeightType, read_weights, shape_metadata, write_weights};
use gmatrix::model::{Activation, Layout, ModelShape, Norm, TransformerShape};
use safetensors::{Dtype, SafeTensors};

use super::{Raw, distinct, overrides, shapes, temporary, transformer};

#[test]
fn written_weights_come_back_as_they_were() -> Result<()> {
    let (_dir, path) = temporary();
    for shape in shapes() {
        let weights: Vec<f64> = distinct(&shape).iter().map(|x| x.sin()).collect();
        write_weights(&path, &shape, &weights, WeightType::F64)?;
        // The file states its shape, so nothing else need be known.
        assert_eq!(
            read_weights(&path, Overrides::default())?,
            (shape.clone(), weights.clone())
        );

        let single: Vec<f32> = weights.iter().map(|&x| x as f32).collect();
        write_weights(&path, &shape, &single, WeightType::F32)?;
        let (_, read) = read_weights(&path, Overrides::default())?;
        assert!(read.iter().zip(&single).all(|(&a, &b)| a == f64::from(b)));
    }
    Ok(())
}

#[test]
fn shapes_are_inferred_where_the_file_does_not_state_them() -> Result<()> {
    let (_dir, path) = temporary();
    for shape in shapes() {
        Raw::of(&shape).write(&path);
        assert_eq!(
            read_weights(&path, overrides(&shape))?,
            (shape.clone(), distinct(&shape))
        );
    }
    Raw::of(&transformer(1, Norm::None)).write(&path);
    let gelu = Overrides {
        activation: Some(Activation::Gelu),
        ..Overrides::default()
    };
    let (ModelShape::Transformer(shape), _) = read_weights(&path, gelu)? else {
        panic!("expected a transformer");
    };
    assert_eq!(shape.activation, Activation::Gelu);
    Ok(())
}

#[test]
fn heads_of_the_file_become_columns_of_the_arena() -> Result<()> {
    let shape = transformer(1, Norm::None);
    let (d, heads, d_head) = (6, 3, 2);
    let (_dir, path) = temporary();
    let mut raw = Raw::of(&shape);
    let at = |h: usize, i: usize, j: usize, rows: usize, cols: usize| (h * rows + i) * cols + j;
    let mut number = 1000.0;
    let mut expected = Vec::new();
    for (name, tensor, stride, column) in [
        ("W_Q", "W_Q", d, 0),
        ("W_K", "W_KV", 2 * d, 0),
        ("W_V", "W_KV", 2 * d, d),
    ] {
        for (h, i, j) in [(0, 0, 0), (2, 5, 1), (1, 3, 0)] {
            number += 1.0;
            raw.set(&format!("blocks.0.attn.{name}"), at(h, i, j, d, d_head), number);
            expected.push((tensor, i * stride + column + h * d_head + j, number));
        }
    }
    // W_O [heads, d_head, d_model]: rows of all heads one below the other.
    raw.set("blocks.0.attn.W_O", at(2, 1, 4, d_head, d), 2000.0);
    expected.push(("W_O", (2 * d_head + 1) * d + 4, 2000.0));
    raw.write(&path);

    let (shape, weights) = read_weights(&path, Overrides::default())?;
    let layout = Layout::new(&shape);
    assert_eq!(heads * d_head, d);
    for (tensor, index, value) in expected {
        let offset = layout.tensor(&format!("blocks.0.attn.{tensor}")).offset;
        assert_eq!(weights[offset + index], value, "{tensor}[{index}]");
    }
    Ok(())
}

#[test]
fn half_precision_files_are_read() -> Result<()> {
    let shape = transformer(1, Norm::None);
    let (_dir, path) = temporary();
    let mut raw = Raw::of(&shape);
    // 1.5 in binary16 and in bfloat16.
    for (name, dtype, bits) in [
        ("embed.W_E", Dtype::F16, 0x3E00u16),
        ("unembed.W_U", Dtype::BF16, 0x3FC0),
    ] {
        let (old_dtype, shape, bytes) = raw.tensors.get_mut(name).expect("tensor");
        *old_dtype = dtype;
        *bytes = bits.to_le_bytes().repeat(shape.iter().product());
    }
    raw.write(&path);
    let (shape, weights) = read_weights(&path, Overrides::default())?;
    let layout = Layout::new(&shape);
    for name in ["embed.W_E", "unembed.W_U"] {
        let tensor = layout.tensor(name);
        assert!(
            weights[tensor.offset..][..tensor.len()].iter().all(|&x| x == 1.5),
            "{name}"
        );
    }
    Ok(())
}

#[test]
fn what_transformer_lens_adds_is_accepted_where_it_does_nothing() -> Result<()> {
    let shape = transformer(2, Norm::Pre);
    let (_dir, path) = temporary();
    let mut raw = Raw::of(&shape);
    for l in 0..2 {
        for (name, shape) in [("b_Q", &[3, 2][..]), ("b_K", &[3, 2]), ("b_V", &[3, 2]), ("b_O", &[6])] {
            raw.zeros(&format!("blocks.{l}.attn.{name}"), shape);
        }
        let mask = (Dtype::BOOL, vec![0, 0], Vec::new());
        raw.tensors.insert(format!("blocks.{l}.attn.mask"), mask);
        raw.zeros(&format!("blocks.{l}.attn.IGNORE"), &[]);
    }
    raw.zeros("unembed.b_U", &[7]);
    raw.metadata = Some(shape_metadata(&shape));
    raw.write(&path);
    assert_eq!(
        read_weights(&path, Overrides::default())?,
        (shape.clone(), distinct(&shape))
    );

    // Where the file does not say that they are absent, they are parameters, zero or not.
    raw.metadata = None;
    raw.write(&path);
    let (found, weights) = read_weights(&path, Overrides::default())?;
    let ModelShape::Transformer(found) = found else {
        panic!("expected a transformer");
    };
    assert!(found.attention_biases && found.unembed_bias);
    assert_eq!(weights.len(), distinct(&shape).len() + 2 * (3 * 6 + 6) + 7);

    raw.metadata = Some(shape_metadata(&shape));
    raw.set("blocks.1.attn.b_V", 3, 1e-9);
    raw.write(&path);
    let error = read_weights(&path, Overrides::default()).expect_err("a bias that acts");
    assert!(error.to_string().contains("blocks.1.attn.b_V is not zero"), "{error}");
    Ok(())
}

#[test]
fn biases_are_parameters_where_the_file_holds_them() -> Result<()> {
    let ModelShape::Transformer(plain) = transformer(2, Norm::Pre) else {
        panic!("expected a transformer");
    };
    let shape = ModelShape::Transformer(TransformerShape {
        attention_biases: true,
        unembed_bias: true,
        attention_mix: 0.0,
        ..plain
    });
    let (_dir, path) = temporary();
    let raw = Raw::of(&shape);
    raw.write(&path);
    let (found, weights) = read_weights(&path, Overrides::default())?;
    assert_eq!((&found, &weights), (&shape, &distinct(&shape)));
    // K and V of all heads lie side by side, as the columns of their matrix do.
    let layout = Layout::new(&shape);
    for (name, tensor, column) in [("b_Q", "b_Q", 0), ("b_K", "b_KV", 0), ("b_V", "b_KV", 6)] {
        let (_, dims, bytes) = &raw.tensors[&format!("blocks.1.attn.{name}")];
        assert_eq!(dims, &[3, 2]);
        let of_file: Vec<f64> = bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
        let offset = layout.tensor(&format!("blocks.1.attn.{tensor}")).offset + column;
        assert_eq!(weights[offset..offset + 6], of_file, "{name}");
    }

    let mut one_lacks = raw.clone();
    one_lacks.tensors.remove("blocks.1.attn.b_O");
    one_lacks.write(&path);
    let error = read_weights(&path, Overrides::default()).expect_err("three of four biases");
    assert!(
        error.to_string().ends_with("has no tensor blocks.1.attn.b_O"),
        "{error}"
    );
    Ok(())
}

#[test]
fn files_use_the_names_and_shapes_of_transformer_lens() -> Result<()> {
    let (_dir, path) = temporary();
    let shape = transformer(1, Norm::Pre);
    write_weights(&path, &shape, &distinct(&shape), WeightType::F32)?;
    let bytes = std::fs::read(&path).expect("readable");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut found: Vec<(String, Vec<usize>)> = file.iter().map(|(n, t)| (n.to_owned(), t.shape().to_vec())).collect();
    found.sort();
    let expected: [(&str, &[usize]); 17] = [
        ("blocks.0.attn.W_K", &[3, 6, 2]),
        ("blocks.0.attn.W_O", &[3, 2, 6]),
        ("blocks.0.attn.W_Q", &[3, 6, 2]),
        ("blocks.0.attn.W_V", &[3, 6, 2]),
        ("blocks.0.ln1.b", &[6]),
        ("blocks.0.ln1.w", &[6]),
        ("blocks.0.ln2.b", &[6]),
        ("blocks.0.ln2.w", &[6]),
        ("blocks.0.mlp.W_in", &[6, 5]),
        ("blocks.0.mlp.W_out", &[5, 6]),
        ("blocks.0.mlp.b_in", &[5]),
        ("blocks.0.mlp.b_out", &[6]),
        ("embed.W_E", &[8, 6]),
        ("ln_final.b", &[6]),
        ("ln_final.w", &[6]),
        ("pos_embed.W_pos", &[4, 6]),
        ("unembed.W_U", &[6, 7]),
    ];
    let expected: Vec<_> = expected.iter().map(|(n, s)| ((*n).to_owned(), s.to_vec())).collect();
    assert_eq!(found, expected);
    Ok(())
}
