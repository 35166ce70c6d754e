//! How alike networks are: against numpy, and by identities.

mod identities;
mod oracle;
