"""Reports as one HTML file: parts that any report is made of, and templates that lay them out."""
