//! The trainer from end to end: against PyTorch, against itself in other company, and against identities.

#![cfg(feature = "record")]

mod ahead;
mod alike;
mod attention_mix;
mod columns;
mod decay;
mod frequencies;
mod further;
mod identities;
mod ledger;
mod networks;
mod pressures;
mod schedules;
mod steps;
mod stream;
mod support;
