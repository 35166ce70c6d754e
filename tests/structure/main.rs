//! What a network has grown: against PyTorch, a closed-form solution, and identities.

mod alignment;
mod closed_form;
mod oracle;
mod selection;
mod weights;
