"""Where does a recognizer look? The Mask Template Network, templates and their superposition."""
