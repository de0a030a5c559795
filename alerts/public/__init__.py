"""What the town tells the public: words, drafts, what a named person decides, and the forms it goes out in."""
