"""What a file is, judged by a few KiB of its bytes.  Pure: bytes come through a function that is handed in.

    window     a file of which little may be read
    pickles    opcodes, walked and never run
    archives   zip by its central directory, tar by its heads, what is compressed
    weights    safetensors, GGUF, ONNX, numpy, HDF5 and their kin
    texts      JSON with its `auto_map`, text, the licence of a model card
    judge      the order of the questions
    words      the formats by their names, and what people call them

Nothing is ever unpickled, imported or unpacked to a disk.
"""
