//! `include/gmatrix.h` is what the source says. `GMATRIX_BLESS=1 cargo test --release -p gmatrix-c` writes it anew.

use std::path::Path;

#[test]
fn the_header_is_what_the_source_says() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).expect("cbindgen.toml");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in ["call.rs", "sites.rs", "statistics.rs"] {
        builder = builder.with_src(here.join("src").join(file));
    }
    let mut bytes = Vec::new();
    builder.generate().expect("a header").write(&mut bytes);
    let generated = String::from_utf8(bytes).expect("UTF-8");
    let path = here.join("../include/gmatrix.h");
    if std::env::var_os("GMATRIX_BLESS").is_some() {
        std::fs::write(&path, &generated).expect("include/ can be written");
    }
    let written = std::fs::read_to_string(&path).expect("include/gmatrix.h");
    assert!(
        written == generated,
        "include/gmatrix.h is not what capi/src says; run with GMATRIX_BLESS=1"
    );
}
