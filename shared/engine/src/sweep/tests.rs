//! What the sweep mends, kind by kind, beside what the doctor says of it; and that nothing keeps it from the rest.

mod daily;
mod kinds;
mod limits;
mod races;
mod site;
