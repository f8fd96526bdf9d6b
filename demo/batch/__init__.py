"""Many clips, one question: rows in, replies out, on the page, by the API and in a terminal."""
