"""Other ways to write streams: aioreactive's observables, in both directions, and callbacks."""
