"""The JSON that clients and server exchange: decoding, encoding and the frame around both."""
