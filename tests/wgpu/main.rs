//! Whole runs on wgpu, on whatever adapter there is (Mesa's lavapipe will do). Its kernels are tested in `tests/kernels`.
#![cfg(all(feature = "wgpu", feature = "record"))]

mod training;

/// Whether there is an adapter. Where there is none the test says so and passes, unless `GMATRIX_REQUIRE` asks for wgpu.
fn supported() -> bool {
    match gmatrix::backend::wgpu::probe() {
        Ok(_) => true,
        Err(reason) => {
            let required = std::env::var("GMATRIX_REQUIRE").unwrap_or_default();
            assert!(
                !required.split(',').any(|r| r.trim() == "wgpu"),
                "wgpu is required: {reason}"
            );
            println!("Unsupported: {reason}");
            false
        }
    }
}
