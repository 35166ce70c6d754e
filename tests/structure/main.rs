//! What a network has grown: against PyTorch, a closed-form solution, and identities.

mod closed_form;
mod oracle;
mod weights;
