//! What we hold ourselves to against programs that are not ours, and what stands in for them: one suite on every table and
//! every scheduler, official SDKs, other people's mocks, published descriptions, recorded results.

mod job_next;
mod openapi;
mod sdks;
mod sim_on_dynamodb;
mod store;
mod telegram_mock;
mod timers;
