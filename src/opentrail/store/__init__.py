"""Where state lies: SQLite files or PostgreSQL schemas behind one small interface; the lane that writes; snapshots; migrations."""
