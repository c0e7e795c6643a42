"""Link prediction: which edges are missing, by DistMult, TransE, RotatE or an R-GCN before a DistMult."""
