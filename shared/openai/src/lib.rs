//! Any OpenAI-compatible endpoint, realtime only
