"""The Gradio app; a tab is a file."""
