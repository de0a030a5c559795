"""The pipe network of a town, from its files to its database.

layers, attributes, coordinates   files of a GIS and what stands in them
assembly, touching                their features -> a network
inp, inp_text                     EPANET's file, read and written
pipes                             the network itself, and ways along it
checks, problems                  what is wrong with it
files                             all of this for whoever has files; and written again
stored                            versions in the town's database
"""
