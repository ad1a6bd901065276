"""Pages and screens made of finished rows; nothing is measured or judged here."""
