"""Training scripts of strangers, in many shapes, without a schedule or with one."""
