//! Writes the Rust code of `proto/` to `src/generated/`.
//!
//! ```text
//! cargo run -p litemq-protocol --example generate
//! ```

#[path = "../codegen.rs"]
mod codegen;

use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    let out_dir = codegen::generated_dir();
    fs::create_dir_all(&out_dir)?;
    codegen::generate(&out_dir)
}
