"""What a project imports from other packages, without those packages."""
