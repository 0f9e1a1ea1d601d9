"""The instructions that change files: RUN, COPY and ADD."""
