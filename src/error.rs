//! The one error type of the crate.

use std::path::{Path, PathBuf};

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as one line that names the file, key or value at fault and what was expected.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    kind: ErrorKind,
}

/// The classes of failure a caller may want to tell apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A tensor or buffer has another shape than the model or contract needs.
    #[error("{0}")]
    Shape(String),
    /// The backend, device or precision cannot do what was asked.
    #[error("{0}")]
    Unsupported(String),
    /// A kernel did not compile.
    #[error("kernel {kernel} does not compile: {log}")]
    Compile {
        /// Name of the kernel, with its specialisation.
        kernel: String,
        /// The compiler's own words.
        log: String,
    },
    /// A device call failed.
    #[error("{0}")]
    Device(String),
    /// A number that should be finite is not, or a solver did not converge.
    #[error("{0}")]
    Numeric(String),
    /// The configuration or the command line is wrong.
    #[error("{0}")]
    Config(String),
    /// A file cannot be read or written, or does not hold what it should.
    #[error("{path}: {reason}", path = path.display())]
    Io {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// The class of the failure.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// A wrong shape; `message` names the tensor, what it is and what was expected.
    pub fn shape(message: impl Into<String>) -> Self {
        ErrorKind::Shape(message.into()).into()
    }

    /// Something this backend, device or precision lacks.
    pub fn unsupported(message: impl Into<String>) -> Self {
        ErrorKind::Unsupported(message.into()).into()
    }

    /// A failed device call.
    pub fn device(message: impl Into<String>) -> Self {
        ErrorKind::Device(message.into()).into()
    }

    /// A number that should be finite and is not, or a solver that did not converge.
    pub fn numeric(message: impl Into<String>) -> Self {
        ErrorKind::Numeric(message.into()).into()
    }

    /// A wrong configuration key, value or command line.
    pub fn config(message: impl Into<String>) -> Self {
        ErrorKind::Config(message.into()).into()
    }

    /// A file that cannot be read or written, or does not hold what it should.
    pub fn io(path: impl AsRef<Path>, reason: impl ToString) -> Self {
        ErrorKind::Io {
            path: path.as_ref().to_path_buf(),
            reason: reason.to_string(),
        }
        .into()
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind }
    }
}
