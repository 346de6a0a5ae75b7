// Nothing here is for rtun's own code: what static linking needs besides is found by the linker, or runs by itself.
