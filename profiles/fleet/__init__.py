"""Many profiles as tables of a folder, and the questions that such tables answer."""
