"""Writers of blocks and documents: terminal, Markdown, HTML, remarks for CI systems, JUnit."""
