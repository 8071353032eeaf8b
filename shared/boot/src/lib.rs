//! Composition root: reads settings once and builds the real adapters
