def read(p): raise NotImplementedError
