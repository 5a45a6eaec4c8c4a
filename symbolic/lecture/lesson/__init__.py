"""From derivations to the document of a lesson."""
