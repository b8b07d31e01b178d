//! Units of tunnel devices: `tunnel="7"` on a key, asked for and refused, with either program as the server.
